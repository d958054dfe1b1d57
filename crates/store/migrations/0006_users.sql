-- People who sign in to the Admin API. email: in lower case. person: a row of users, in every table below.
CREATE TABLE users (
    id BYTEA PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    global_admin BIGINT NOT NULL CHECK (global_admin IN (0, 1)),
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE memberships (
    person BYTEA NOT NULL,
    merchant BYTEA NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (person, merchant)
);
CREATE INDEX memberships_by_merchant ON memberships (merchant, person);

-- credential_id: the authenticator's name for it, unique across people. credential: the public key and what
-- the verifier keeps beside it, without the counter, which is in sign_count alone.
CREATE TABLE passkeys (
    id BYTEA PRIMARY KEY,
    person BYTEA NOT NULL,
    credential_id BYTEA NOT NULL UNIQUE,
    credential TEXT NOT NULL,
    sign_count BIGINT NOT NULL,
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_by_person ON passkeys (person, id);

-- One login each, with the family of refresh tokens that came of it.
CREATE TABLE sessions (
    id BYTEA PRIMARY KEY,
    person BYTEA NOT NULL,
    live BIGINT NOT NULL CHECK (live IN (0, 1)),
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    refreshes BIGINT NOT NULL,
    ended TEXT
);
CREATE INDEX sessions_open ON sessions (person, id) WHERE ended IS NULL;

-- Used ones are kept with their session: whoever brings one has a copy.
CREATE TABLE refresh_tokens (
    digest BYTEA PRIMARY KEY,
    session BYTEA NOT NULL,
    used_at BIGINT
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session);

-- Challenges that were handed out. code: random; good for one answer, right or wrong. account: under which failed
-- logins are counted, whether anybody has the address or not.
CREATE TABLE ceremonies (
    code TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    person BYTEA,
    session BYTEA,
    invite BYTEA,
    account BYTEA NOT NULL,
    state TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX ceremonies_lapsing ON ceremonies (expires_at);

-- digest: of the token, which is shown once. With merchant and role for a member, with person for somebody
-- who lost their passkeys, with none of them for a global administrator.
CREATE TABLE invites (
    id BYTEA PRIMARY KEY,
    digest BYTEA NOT NULL UNIQUE,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    merchant BYTEA,
    role TEXT,
    person BYTEA,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    closed_at BIGINT,
    CHECK ((merchant IS NULL) = (role IS NULL)),
    CHECK (merchant IS NULL OR person IS NULL)
);
CREATE INDEX invites_open ON invites (merchant, id) WHERE closed_at IS NULL;
CREATE INDEX invites_lapsing ON invites (expires_at);
