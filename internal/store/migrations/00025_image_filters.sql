-- +goose Up
-- What lists of images are filtered by beside their names, in one index: counting what a filter chooses reads it alone, not the
-- rows, which are long. Every change of an image changes updated_at, so the other columns cost no further entries.
drop index images_updated;
create index images_updated on images (updated_at, id, created_at, judged_at, state, vuln_critical, vuln_high, vuln_medium, vuln_low,
    vuln_negligible, vuln_unknown);

-- +goose Down
drop index images_updated;
create index images_updated on images (updated_at, id);
