//! Faults of the disk, of the files and of the clock, as the program meets them.
