-- +goose Up
create table budgets (
    host         text {{c}} not null,
    credential   text {{c}} not null,
    paused_until bigint not null default 0, -- by the database's clock
    primary key (host, credential)
);

-- Written for every request to a registry, and worth nothing after a crash of the database.
create {{unlogged}} table budget_places (
    host       text {{c}} not null,
    credential text {{c}} not null,
    place      bigint not null,
    holder     text {{c}} not null default '',
    until      bigint not null default 0, -- when it is free again, whatever became of its holder; by the database's clock
    primary key (host, credential, place),
    foreign key (host, credential) references budgets (host, credential) on delete cascade
);
create index budget_places_holder on budget_places (holder) where holder <> '';
