//! Promises, tested.
