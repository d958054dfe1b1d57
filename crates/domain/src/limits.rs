//! Every bound of the product that is not a setting, in one place.

/// Bank accounts of one merchant in one mode.
pub const BANK_ACCOUNTS: usize = 50;
/// Webhook endpoints of one merchant in one mode.
pub const WEBHOOK_ENDPOINTS: usize = 16;
/// Event types that one endpoint may list.
pub const ENABLED_EVENTS: usize = 200;
/// Depth of an `expand[]` path.
pub const EXPAND_DEPTH: usize = 4;
/// Paths in `expand[]` on a GET.
pub const EXPAND_PATHS_GET: usize = 20;
/// Paths in `expand[]` on a POST: they are worked off while the writer waits.
pub const EXPAND_PATHS_POST: usize = 8;
/// Largest page of a list.
pub const PAGE_MAX: i64 = 100;
/// Page size when none is asked for.
pub const PAGE_DEFAULT: i64 = 10;
/// Characters of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS: usize = 255;
/// How long a stored reply is kept, in microseconds (24 h).
pub const IDEMPOTENCY_KEPT_US: i64 = 24 * crate::time::HOUR;
/// How long a card authorisation holds when the provider says nothing else (7 days).
pub const CARD_HOLD_US: i64 = 7 * crate::time::DAY;
/// How long a payer has for a 3DS challenge.
pub const CHALLENGE_US: i64 = 30 * crate::time::MINUTE;
/// Rows that one background write closure touches at most.
pub const BULK_ROWS: i64 = 100;
/// Refunds of one payment: keeps the walk over them bounded.
pub const REFUNDS_PER_PAYMENT: i64 = 1_000;
/// Attempts of one payment before it can no longer be confirmed.
pub const ATTEMPTS_PER_PAYMENT: i64 = 100;
/// Live test clocks of one merchant.
pub const TEST_CLOCKS: i64 = 100;
/// How long events, their snapshots and deliveries are kept (30 days).
pub const EVENTS_KEPT_US: i64 = 30 * crate::time::DAY;
/// Audit rows about API keys sent in addresses, a minute and process. What is above this or one of the next
/// three bounds is counted in one more row.
pub const AUDIT_KEYS_IN_URL: usize = 30;
/// Audit rows about requests without a valid key, one for each address, a minute and process.
pub const AUDIT_ADDRESSES: usize = 60;
/// Audit rows about ids that belong to others, a minute and process.
pub const AUDIT_FOREIGN: usize = 300;
/// The same for one key.
pub const AUDIT_FOREIGN_PER_KEY: usize = 20;
/// Notes that wait in memory to be written to the audit log; more are counted.
pub const AUDIT_WAITING: usize = 1_000;
/// Passkeys of one person.
pub const PASSKEYS: usize = 10;
/// Open sessions of one person; a further login ends the oldest.
pub const SESSIONS: i64 = 20;
/// Refresh tokens that one session can have: many times what its lifetime needs.
pub const REFRESHES: i64 = 1_000;
/// Invitations of one organisation, or of none, that can be taken up at one time.
pub const OPEN_INVITES: usize = 50;
/// Members of one organisation.
pub const MEMBERS: usize = 500;
/// Organisations that one person is a member of.
pub const MEMBERSHIPS: usize = 200;
/// How long an ended session or a lapsed invitation is kept for questions (30 days).
pub const ENDED_SIGN_IN_US: i64 = 30 * crate::time::DAY;
/// How long a rotated key may work on at most (7 days).
pub const KEY_OVERLAP_US: i64 = 7 * crate::time::DAY;
/// Days that figures may be asked for, or rows exported from, at once.
pub const RANGE_DAYS: i64 = 366;
/// Rows of one export; whoever has more asks for less time.
pub const EXPORT_ROWS: i64 = 1_000_000;
/// Rows that an export reads at once.
pub const EXPORT_PAGE: i64 = 500;
/// How long one export may take in all, in seconds: whoever reads it slowly holds up the organisation's next one.
pub const EXPORT_SECONDS: u64 = 1_800;
/// Rows that are too young to be folded into figures and are looked at for one answer.
pub const FIGURES_TAIL_ROWS: i64 = 20_000;
