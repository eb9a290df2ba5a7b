-- +goose Up
create table events (
    id           {{serial}},
    received_at  bigint not null,
    sender       text not null,
    delivery_id  text not null,
    name         text {{c}} not null, -- what it is about; '' when nothing can follow from it
    host         text not null,
    repository   text not null,
    other_names  text not null,
    tag          text not null,
    digest       text not null,
    media_type   text not null,
    action       text not null,
    occurred_at  bigint not null,
    state        text not null,
    reason       text not null,
    registry_ids text not null,
    header       text not null,
    body         bytea,            -- null in all but the first row of a delivery
    first_id     bigint not null   -- that row; 0 in itself
);
create index events_received on events (received_at, id);
create index events_state on events (state, id);
create index events_new on events (name, id) where state = 'new';
