//! Disks that are full, or can only be read: real ones, small and in memory, and one whose kernel stops writing.
