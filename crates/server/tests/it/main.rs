//! The program itself: started, spoken to over sockets, stopped and killed.

mod books;
mod browser;
mod bytes;
mod clients;
mod clock;
mod clock_jumps;
mod command_line;
mod files;
mod full_disk;
mod load;
mod lost_database;
mod merchant;
mod paths;
mod payer;
mod payment_page;
mod postgres_restart;
mod process;
mod read_only;
mod restart;
mod services;
mod shop;
mod sign_in;
mod storm;
mod webdriver;
mod wire;
