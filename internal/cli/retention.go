package cli

import "github.com/tidewaiter/tidewaiter/internal/control"

// retentionFlags say how long what is over is kept.
type retentionFlags struct {
	KeepGoneDays       int `help:"Keep tags that are gone from their registries, and images only they led to, so many days. 0 is what Prisma's API was told, or 30." default:"0" placeholder:"DAYS"`
	KeepHistoryDays    int `help:"Keep scans that are over, where tags pointed before, and the audit log so many days. 0 is 365." default:"0" placeholder:"DAYS"`
	KeepChangesDays    int `help:"Keep what changed for images so many days. 0 is 90." default:"0" placeholder:"DAYS"`
	KeepEventsDays     int `help:"Keep events of registries so many days. 0 is 7." default:"0" placeholder:"DAYS"`
	KeepDeliveriesDays int `help:"Keep deliveries of webhooks that arrived so many days. 0 is 7." default:"0" placeholder:"DAYS"`
	KeepDeadDays       int `help:"Keep deliveries that were given up, to be sent again, so many days. 0 is 30." name:"keep-dead-deliveries-days" default:"0" placeholder:"DAYS"`
}

func (f retentionFlags) retention() control.Retention {
	return control.Retention{Gone: f.KeepGoneDays, History: f.KeepHistoryDays, Changes: f.KeepChangesDays, Events: f.KeepEventsDays,
		Deliveries: f.KeepDeliveriesDays, Dead: f.KeepDeadDays}
}
