"""The routes, one file a subject; each calls the store or a function of ``app/``."""
