"""Where bytes are kept. The only room that knows how a path in the lake is spelled."""
