package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// MaxRegistries is how many registries one origin may declare. Prisma: "a maximum of 19,999 registry entries".
const MaxRegistries = 19_999

// ReplaceRegistries makes drafts the complete list of an origin's registries, in their order, all or nothing. A registry
// that is the same as before keeps its id, history and results and is not scanned again; one that differs keeps its id
// when the draft names it or its address is the same. With scan, whatever is new or differs is scanned at once.
//
// Errors: ErrInvalid with Field "registries[i].…" for the first bad draft; ErrNotFound with the same for an unknown
// credential. Nothing is changed then. Two callers at the same time are served one after the other.
func (c *Control) ReplaceRegistries(ctx context.Context, origin tidewaiter.Origin, drafts []*tidewaiter.Registry, scan bool) error {
	if len(drafts) > MaxRegistries {
		return tidewaiter.Invalid("registries", "%d registries are more than the limit of %d", len(drafts), MaxRegistries)
	}
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockOrigin(ctx, origin); err != nil {
			return err
		}
		if err := c.checkDrafts(ctx, tx, drafts); err != nil {
			return err
		}
		have, err := tx.RegistriesOf(ctx, origin)
		if err != nil {
			return err
		}
		plan := c.planReplacement(have, drafts, origin)
		if err := tx.DeleteRegistries(ctx, plan.gone); err != nil {
			return err
		}
		if err := tx.UpdateRegistries(ctx, plan.update); err != nil {
			return err
		}
		if err := tx.InsertRegistries(ctx, plan.insert); err != nil {
			return err
		}
		if scan {
			if err := c.startScans(ctx, tx, append(plan.changed, plan.insert...), ScanRequest{Lane: tidewaiter.LaneFresh}); err != nil {
				return err
			}
		}
		return c.audit(ctx, tx, "registries.replace", string(origin),
			fmt.Sprintf("%d new, %d changed, %d removed, %d in all", len(plan.insert), len(plan.changed), len(plan.gone), len(drafts)))
	})
}

// replacement is what turns one list of registries into another.
type replacement struct {
	insert  []*tidewaiter.Registry
	update  []*tidewaiter.Registry // rows to write: changed ones and those that only moved in the list
	changed []*tidewaiter.Registry // of update, those that mean something else than before
	gone    []string
}

// planReplacement pairs each draft with the registry it continues: the one it names, else an identical one, else one with
// the same address. What it keeps, it keeps by id.
func (c *Control) planReplacement(have, drafts []*tidewaiter.Registry, origin tidewaiter.Origin) replacement {
	free := make(map[string]*tidewaiter.Registry, len(have))
	same, near := map[string][]string{}, map[string][]string{}
	for _, r := range have {
		free[r.ID] = r
		same[fingerprint(r)] = append(same[fingerprint(r)], r.ID)
		near[address(r)] = append(near[address(r)], r.ID)
	}
	take := func(ids ...string) *tidewaiter.Registry {
		for _, id := range ids {
			if r, ok := free[id]; ok {
				delete(free, id)
				return r
			}
		}
		return nil
	}
	old := make([]*tidewaiter.Registry, len(drafts))
	for _, candidates := range []func(*tidewaiter.Registry) []string{
		func(d *tidewaiter.Registry) []string { return []string{d.ID} },
		func(d *tidewaiter.Registry) []string { return same[fingerprint(d)] },
		func(d *tidewaiter.Registry) []string { return near[address(d)] },
	} {
		for i, d := range drafts {
			if old[i] == nil {
				old[i] = take(candidates(d)...)
			}
		}
	}

	var p replacement
	now := c.now()
	for i, d := range drafts {
		r := *d
		r.Origin, r.Position, r.UpdatedAt = origin, i, now
		switch o := old[i]; {
		case o == nil:
			r.ID, r.CreatedAt = c.newID(), now
			p.insert = append(p.insert, &r)
		case fingerprint(o) != fingerprint(d):
			r.ID, r.CreatedAt = o.ID, o.CreatedAt
			p.update, p.changed = append(p.update, &r), append(p.changed, &r)
		case o.Position != i || string(o.Declaration) != string(d.Declaration):
			r.ID, r.CreatedAt, r.UpdatedAt = o.ID, o.CreatedAt, o.UpdatedAt
			p.update = append(p.update, &r)
		}
	}
	for id := range free {
		p.gone = append(p.gone, id)
	}
	return p
}

// fingerprint is the same for registries that mean the same, wherever they stand in a list.
func fingerprint(r *tidewaiter.Registry) string {
	return digestOf(r.Kind, r.URL, r.CredentialID, r.TLS, r.Scope, r.Parallel, r.Settings, store.LabelsText(r.Labels))
}

// address is the same for registries that look at the same place, however they look at it.
func address(r *tidewaiter.Registry) string { return digestOf(r.Kind, r.URL, r.Scope.Select) }

func digestOf(parts ...any) string {
	b, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("registry cannot be encoded: %v", err)) // plain data: only a programming error gets here
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// checkDrafts reports the first draft that cannot be stored.
func (c *Control) checkDrafts(ctx context.Context, tx *store.Tx, drafts []*tidewaiter.Registry) error {
	known := map[string]bool{"": true}
	for i, d := range drafts {
		if err := validateRegistry(d); err != nil {
			return at(err, i)
		}
		if known[d.CredentialID] {
			continue
		}
		if _, err := tx.Credential(ctx, d.CredentialID); err != nil {
			if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
				err = &tidewaiter.Error{Kind: tidewaiter.ErrNotFound, Field: "credentialID",
					Msg: fmt.Sprintf("credential %s was not found", d.CredentialID), Fix: "create it first, or leave the field empty"}
			}
			return at(err, i)
		}
		known[d.CredentialID] = true
	}
	return nil
}

// at says which of a list of registries an error is about.
func at(err error, i int) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok || e.Field == "" { // about none of them, as when the database is away
		return err
	}
	located := *e
	located.Field = fmt.Sprintf("registries[%d].%s", i, e.Field)
	return &located
}

func validateRegistry(r *tidewaiter.Registry) error {
	url, err := tidewaiter.ParseRegistryURL(r.URL)
	if err != nil {
		return err
	}
	r.URL = url
	if err := r.Scope.Validate(); err != nil {
		return err
	}
	if err := r.Schedule.Validate(); err != nil {
		return err
	}
	if err := tidewaiter.ValidateWantedLabels(r.Labels); err != nil {
		return err
	}
	if err := discover.CheckSettings(r); err != nil {
		return err
	}
	if _, err := r.Publications(); err != nil {
		return err
	}
	return validateCA(r.TLS.CACert)
}

// AddRegistry appends one registry to its origin's list and, with scan, scans it. It returns the registry as stored.
func (c *Control) AddRegistry(ctx context.Context, draft *tidewaiter.Registry, scan bool) (*tidewaiter.Registry, error) {
	r := *draft
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockOrigin(ctx, r.Origin); err != nil {
			return err
		}
		n, err := tx.CountRegistries(ctx, store.RegistryFilter{Origin: r.Origin})
		if err != nil {
			return err
		}
		if n >= MaxRegistries {
			return tidewaiter.Invalid("registries", "there are %d registries already, the limit is %d", n, MaxRegistries)
		}
		if err := c.checkDrafts(ctx, tx, []*tidewaiter.Registry{&r}); err != nil {
			return err
		}
		r.ID, r.CreatedAt, r.UpdatedAt, r.Position = c.newID(), c.now(), c.now(), n
		if err := tx.InsertRegistries(ctx, []*tidewaiter.Registry{&r}); err != nil {
			return err
		}
		if scan {
			if err := c.startScans(ctx, tx, []*tidewaiter.Registry{&r}, ScanRequest{Lane: tidewaiter.LaneFresh}); err != nil {
				return err
			}
		}
		return c.audit(ctx, tx, "registry.add", r.ID, r.URL)
	})
	return &r, err
}

// UpdateRegistry stores a registry that exists, found by its ID. Results and history stay.
func (c *Control) UpdateRegistry(ctx context.Context, r *tidewaiter.Registry) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := c.checkDrafts(ctx, tx, []*tidewaiter.Registry{r}); err != nil {
			return err
		}
		r.UpdatedAt = c.now()
		if err := tx.UpdateRegistries(ctx, []*tidewaiter.Registry{r}); err != nil {
			return err
		}
		return c.audit(ctx, tx, "registry.update", r.ID, r.URL)
	})
}

// DeleteRegistries removes registries and what only they led to; then their jobs are taken away. A job that is left over
// finds nothing to do.
func (c *Control) DeleteRegistries(ctx context.Context, ids ...string) error {
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.DeleteRegistries(ctx, ids); err != nil {
			return err
		}
		return c.audit(ctx, tx, "registries.delete", "", fmt.Sprint(ids))
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := c.jobs.CancelRegistry(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
