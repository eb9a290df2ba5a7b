-- +goose Up
create table tag_checks (
    repository_id bigint not null references repositories (id) on delete cascade,
    name          text {{c}} not null,
    digest        text {{c}} not null,
    checked_at    bigint not null,
    primary key (repository_id, name)
);
