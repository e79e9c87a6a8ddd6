//! Cognition: who writes methods. Now: the composer.
