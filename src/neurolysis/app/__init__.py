"""One function per user action: load, compute, check approval, write atomically."""
