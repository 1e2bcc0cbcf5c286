"""Files and rows from the fulfilment system: parsed, checked, stored in the inboxes."""
