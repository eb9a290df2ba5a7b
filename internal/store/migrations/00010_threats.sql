-- +goose Up
create table feeds (
    kind       text primary key,
    doc        text not null,
    version    text not null,
    edition    bigint not null, -- the rows of epss that count
    updated_at bigint not null
);

-- A new feed is written beside the one in use; changing feeds.edition takes all of it into use at once.
create table epss (
    edition    bigint not null,
    name       text {{c}} not null,
    score      bigint not null, -- millionths
    percentile bigint not null, -- millionths
    primary key (edition, name)
);
create index epss_score on epss (edition, score, name);

create table kev (
    name       text {{c}} primary key,
    added_at   bigint not null,
    due_at     bigint not null,
    ransomware boolean not null
);

-- What the fleet has of each vulnerability, counted in the background. A vulnerability no image has is not in here.
create table vulnerability_totals (
    vulnerability_id bigint primary key references vulnerabilities (id) on delete cascade,
    name             text {{c}} not null unique,
    severity         bigint not null, -- the highest any package has it with
    score            double precision not null,
    published_at     bigint not null,
    images           bigint not null,
    names            bigint not null, -- of those images
    packages         bigint not null,
    fixable          boolean not null
);
create index vulnerability_totals_severity on vulnerability_totals (severity, vulnerability_id);
create index vulnerability_totals_score on vulnerability_totals (score, vulnerability_id);
create index vulnerability_totals_images on vulnerability_totals (images, vulnerability_id);
create index vulnerability_totals_published on vulnerability_totals (published_at, vulnerability_id);
