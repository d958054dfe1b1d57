//! The walk against the model, and real `kill -9` runs, in the size of the test command. `cargo xtask
//! soak` runs more.

mod walk;
