pub mod params;
pub mod rate_limit;
