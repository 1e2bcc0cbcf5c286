"""What the sandbox is filled with: the CDNOW sample and small catalogues."""
