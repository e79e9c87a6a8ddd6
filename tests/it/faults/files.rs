//! Files that are held, stale, gone, or cut short.
