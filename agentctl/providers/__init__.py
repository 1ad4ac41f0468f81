"""Model providers behind one port: one wire format a file, imported only when chosen."""
