package qualys

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// connect finds the connector a cloud registry uses. Qualys: an ACR or GCP connector has to exist; the ARN of an AWS one may
// be new and makes one.
func (s *server) connect(ctx context.Context, q *registryRequest, d *draft) error {
	var err error
	kind := connectorKind(q.RegistryType)
	switch q.RegistryType {
	case typeAWS:
		d.connector, err = s.connector(ctx, "aws.arn", q.AWS.ARN, kind)
		if tidewaiter.KindOf(err) == tidewaiter.ErrInvalid {
			d.connector, d.newConnector, err = awsConnector(q.AWS), true, nil
		}
	case typeAzure:
		d.connector, err = s.connector(ctx, "acrRequest.connectorId", q.ACR.ConnectorID, kind)
	case typeGCP:
		d.connector, err = s.connector(ctx, "gcpRequest.connectorId", q.GCP.ConnectorID, kind)
	case typeGAR:
		d.connector, err = s.connector(ctx, "gcarRequest.connectorId", q.GCAR.ConnectorID, kind)
	}
	if err == nil && d.connector != nil {
		d.registry.CredentialID = d.connector.ID
	}
	return err
}

// connector returns a stored connector of a kind; an unknown one is an ErrInvalid on the field that names it.
func (s *server) connector(ctx context.Context, field, id string, kind tidewaiter.CredentialKind) (*tidewaiter.Credential, error) {
	c, err := s.control.Credential(ctx, id)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && c.Kind != kind {
		return nil, tidewaiter.Invalid(field, "there is no connector %s", cut(id, 80)).WithFix("create the connector first")
	}
	return c, err
}

// awsConnector makes a connector of a role. Its id is the ARN, which names it in every request.
func awsConnector(a *awsRequest) *tidewaiter.Credential {
	return &tidewaiter.Credential{
		ID: a.ARN, Kind: tidewaiter.CredentialAWS, Name: a.ARN, Origin: tidewaiter.OriginQualys,
		Settings: map[string]string{"useAWSRole": "true", "roleArn": a.ARN, "region": a.Region, "accountType": a.AccountType},
	}
}
