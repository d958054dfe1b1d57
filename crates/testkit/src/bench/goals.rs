//! The goals and whether they are met.

/// One goal with what was measured.
pub struct Goal {
    pub met: bool,
    pub text: String,
}

impl Goal {
    pub fn at_least(what: &str, shown: String, value: u64, goal: u64, goal_shown: &str) -> Goal {
        Goal { met: value >= goal, text: format!("{what}: {shown} (goal: at least {goal_shown})") }
    }

    pub fn below(what: &str, shown: String, value: u64, goal: u64, goal_shown: &str) -> Goal {
        Goal { met: value < goal, text: format!("{what}: {shown} (goal: under {goal_shown})") }
    }

    pub fn line(&self) -> String {
        format!("  {}  {}", if self.met { "met   " } else { "MISSED" }, self.text)
    }
}
