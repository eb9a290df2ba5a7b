-- +goose Up
alter table events add column registry_id text {{c}} not null default ''; -- whose address it came to; '' for the one all share
create index events_registry on events (registry_id, id) where registry_id <> '';
create index events_delivery on events (delivery_id, registry_id) where registry_id <> '';

-- Where a registry's events are sent to, and what a delivery has to prove there.
create table event_addresses (
    registry_id  text {{c}} primary key references registries (id) on delete cascade,
    sealed       bytea not null, -- the secret end of the address
    former       bytea,          -- the one before, good until former_until
    former_until bigint not null default 0,
    proof        bytea,          -- the secret of signatures and headers; null for none
    header       text not null,  -- the header that holds it where a sender cannot sign
    audience     text not null,  -- of Pub/Sub's tokens; '' when they are not looked at
    email        text not null,  -- whose they have to be
    created_at   bigint not null,
    updated_at   bigint not null,
    rotated_at   bigint not null
);

-- Queues that events are fetched from, by the process that holds the lease.
create table event_sources (
    registry_id text {{c}} primary key references registries (id) on delete cascade,
    kind        text not null,
    place       text not null, -- a queue's URL, a subscription's name
    created_at  bigint not null,
    updated_at  bigint not null,
    holder      text not null default '',
    held_until  bigint not null default 0,
    polled_at   bigint not null default 0, -- the last answer of the queue
    received_at bigint not null default 0, -- the last message
    received    bigint not null default 0, -- messages
    error_kind  text not null default '',
    error       text not null default '',
    error_at    bigint not null default 0
);
