//! What is believed, and why.
