"""`cscart-pipelines integration …`."""
