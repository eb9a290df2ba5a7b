package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// BaseImages returns the declared base images in the order they were declared.
func (c *Control) BaseImages(ctx context.Context) ([]policy.BaseImage, error) {
	return storedList(ctx, c.store.Reader, policy.BaseImagesKey, policy.ParseBaseImages)
}

// Tags returns the tags people put on vulnerabilities, in the order they were made.
func (c *Control) Tags(ctx context.Context) ([]policy.Tag, error) {
	return storedList(ctx, c.store.Reader, policy.TagsKey, policy.ParseTags)
}

// Declared returns both, ready to be applied to findings.
func (c *Control) Declared(ctx context.Context) (policy.Declared, error) {
	bases, err := c.BaseImages(ctx)
	if err != nil {
		return policy.Declared{}, err
	}
	tags, err := c.Tags(ctx)
	return policy.Declared{Bases: policy.NewBases(bases), Tags: policy.NewTags(tags)}, err
}

func storedList[T any](ctx context.Context, r *store.Reader, key string, parse func(string) ([]T, error)) ([]T, error) {
	stored, err := r.Setting(ctx, key)
	if err != nil && tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		return nil, err
	}
	return parse(stored)
}

// baseCandidates is how many images of a pattern are looked at for the newest MaxStacks.
const baseCandidates = 1000

// PutBaseImage declares that images of a pattern are base images, or changes what was said of it, and has images judged
// again. Images of that pattern that are there count at once, later ones when they are scanned.
func (c *Control) PutBaseImage(ctx context.Context, pattern, description string) error {
	return changeList(ctx, c, policy.BaseImagesKey, policy.ParseBaseImages, "base-image.put", pattern, func(tx *store.Tx, list []policy.BaseImage) ([]policy.BaseImage, error) {
		i := slices.IndexFunc(list, func(b policy.BaseImage) bool { return b.Pattern == pattern })
		if i < 0 {
			if len(list) >= policy.MaxBaseImages {
				return nil, tidewaiter.Invalid("pattern", "at most %d patterns can be declared", policy.MaxBaseImages)
			}
			i, list = len(list), append(list, policy.BaseImage{Pattern: pattern})
		}
		b := &list[i]
		b.Description = description
		found, err := tx.ImagesNamed(ctx, literal(pattern), func(name string) bool { return b.Takes([]string{name}) }, baseCandidates)
		for _, img := range found {
			b.Keep(policy.StackOf(img.Name, img.Image))
		}
		return list, err
	})
}

// literal returns the longest part of a pattern that stands for itself.
func literal(pattern string) string {
	return slices.MaxFunc(strings.Split(pattern, "*"), func(a, b string) int { return cmp.Compare(len(a), len(b)) })
}

// DeleteBaseImage takes a declaration back. Errors: ErrNotFound.
func (c *Control) DeleteBaseImage(ctx context.Context, pattern string) error {
	return changeList(ctx, c, policy.BaseImagesKey, policy.ParseBaseImages, "base-image.delete", pattern, func(_ *store.Tx, list []policy.BaseImage) ([]policy.BaseImage, error) {
		n := len(list)
		if list = slices.DeleteFunc(list, func(b policy.BaseImage) bool { return b.Pattern == pattern }); len(list) == n {
			return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "base image pattern %s is not declared", pattern)
		}
		return list, nil
	})
}

// ChangeTags changes the tags by one function, which gets and returns all of them, and has images judged again. What the
// function returns as an error changes nothing. subject is whom the audit log names.
func (c *Control) ChangeTags(ctx context.Context, subject string, change func([]policy.Tag) ([]policy.Tag, error)) error {
	return changeList(ctx, c, policy.TagsKey, policy.ParseTags, "tags.change", subject, func(_ *store.Tx, list []policy.Tag) ([]policy.Tag, error) {
		list, err := change(list)
		if err != nil {
			return nil, err
		}
		marks := 0
		for i := range list {
			marks += len(list[i].Marks)
		}
		if len(list) > policy.MaxTags || marks > policy.MaxMarks {
			return nil, tidewaiter.Invalid("tags", "there are at most %d tags on at most %d vulnerabilities", policy.MaxTags, policy.MaxMarks)
		}
		return list, nil
	})
}

// changeList changes a stored list in one transaction that others wait for.
func changeList[T any](ctx context.Context, c *Control, key string, parse func(string) ([]T, error), action, subject string,
	change func(*store.Tx, []T) ([]T, error),
) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := c.judgeAgain(ctx, tx); err != nil {
			return err
		}
		list, err := storedList(ctx, tx.Reader, key, parse)
		if err != nil {
			return err
		}
		if list, err = change(tx, list); err != nil {
			return err
		}
		b, err := json.Marshal(list)
		if err != nil {
			return fmt.Errorf("write %s: %w", key, err)
		}
		if err := tx.PutSetting(ctx, key, string(b), c.now()); err != nil {
			return err
		}
		return c.audit(ctx, tx, action, subject, "")
	})
}
