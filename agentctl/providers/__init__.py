"""Model providers behind one port. Each file knows one wire format and is imported only when chosen."""
