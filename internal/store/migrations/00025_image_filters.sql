-- +goose Up
-- What lists of images are filtered by beside their names, in one index: counting what a filter chooses reads it alone, not the
-- rows, which are long. Every change of an image changes updated_at, so the other columns cost no further entries.
drop index images_updated;
create index images_updated on images (updated_at, id, created_at, judged_at, state, vuln_critical, vuln_high, vuln_medium, vuln_low,
    vuln_negligible, vuln_unknown);
-- How many results there are is told from this alone.
create index tag_images_shown on tag_images (tag_id, image_id, shown) where shown;

-- +goose Down
drop index tag_images_shown;
drop index images_updated;
create index images_updated on images (updated_at, id);
