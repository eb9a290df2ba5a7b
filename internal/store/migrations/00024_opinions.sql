-- +goose Up
-- Scanners elsewhere that are asked for a second opinion on images.
create table scanners (
    id             text {{c}} primary key,
    name           text {{c}} not null unique,
    doc            text not null,
    about          text not null default '', -- what it said of itself when it was last asked
    sealed         bytea not null,
    disabled       boolean not null,
    all_registries boolean not null,
    paused_until   bigint not null default 0,
    created_at     bigint not null,
    updated_at     bigint not null
);

create table scanner_registries (
    scanner_id  text {{c}} not null references scanners (id) on delete cascade,
    registry_id text {{c}} not null references registries (id) on delete cascade,
    primary key (scanner_id, registry_id)
);
create index scanner_registries_registry on scanner_registries (registry_id);

create table opinions (
    image_id    bigint not null references images (id) on delete cascade,
    scanner_id  text {{c}} not null references scanners (id) on delete cascade,
    registry_id text {{c}} references registries (id) on delete cascade, -- through which it is asked about
    state       text not null,
    scan        text not null default '', -- what the scanner calls it
    report_type text not null default '',
    job_id      bigint not null default 0,
    faults      bigint not null default 0,
    asked_at    bigint not null default 0,
    tried_at    bigint not null default 0,
    next_at     bigint not null default 0, -- while it waits: its place in the row; while it is asked: when the next step is due
    error_kind  text not null default '',
    error       text not null default '',
    attempts    bigint not null default 0,
    retry_at    bigint not null default 0,
    read_at     bigint not null default 0,
    report      text not null default '',
    findings    bytea, -- packed; of the last report
    primary key (image_id, scanner_id)
);
create index opinions_scanner on opinions (scanner_id, state, next_at);
create index opinions_registry on opinions (registry_id);
