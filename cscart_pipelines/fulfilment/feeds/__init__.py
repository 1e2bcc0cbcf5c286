"""Files and rows from the fulfilment system: parsed, checked, put into the inboxes."""
