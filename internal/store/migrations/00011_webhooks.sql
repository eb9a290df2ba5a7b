-- +goose Up
create table webhooks (
    id           text {{c}} primary key,
    name         text {{c}} not null unique,
    topics       text not null, -- with a space before and after each
    doc          text not null,
    sealed       bytea not null,
    disabled     boolean not null,
    paused_until bigint not null default 0,
    window_at    bigint not null default 0, -- when the hour began whose messages about images are counted
    window_count bigint not null default 0,
    created_at   bigint not null,
    updated_at   bigint not null
);

-- What has happened and nobody has been told of yet: written in the transaction in which it happens, deleted in the one
-- that makes deliveries of it.
create table happenings (
    id        {{serial}},
    topic     text not null,
    at        bigint not null,
    scan_id   text {{c}} not null default '',
    since     bigint not null default 0,
    change_id bigint not null default 0
);

-- Registries whose latest whole scan failed.
create table failing_registries (
    registry_id text {{c}} primary key references registries (id) on delete cascade,
    scan_id     text {{c}} not null,
    since       bigint not null
);

create table webhook_deliveries (
    seq        {{serial}}, -- the order in which those of one subject are sent
    id         text {{c}} not null unique,
    webhook_id text {{c}} not null references webhooks (id) on delete cascade,
    topic      text not null,
    subject    text {{c}} not null,
    title      text not null,
    doc        bytea not null,
    state      text not null,
    attempts   bigint not null default 0,
    created_at bigint not null,
    began_at   bigint not null default 0, -- the first attempt, since the last replay
    due_at     bigint not null,           -- of one that is being sent: when the sender counts as dead
    ended_at   bigint not null default 0,
    status     bigint not null default 0,
    error      text not null default ''
);
create index webhook_deliveries_due on webhook_deliveries (webhook_id, due_at, seq) where state in ('waiting', 'sending');
create index webhook_deliveries_order on webhook_deliveries (webhook_id, subject, seq) where state in ('waiting', 'sending');
create index webhook_deliveries_listed on webhook_deliveries (webhook_id, state, seq);
create index webhook_deliveries_ended on webhook_deliveries (state, ended_at, seq) where state in ('done', 'dead');
