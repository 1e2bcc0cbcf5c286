"""`cscart-pipelines fulfilment …`."""
