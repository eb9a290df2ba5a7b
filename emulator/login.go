package emulator

import (
	"crypto/md5" //nolint:gosec // Oracle names keys by this; it protects nothing
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Login is what gets in. Which fields count depends on the kind; the README has the table. Fields given in Options are
// kept, except by Rotate.
type Login struct {
	Username, Password string // basic: a user, robot, or personal token as password
	Token              string // API token: Quay OAuth, Artifactory access token, GitLab and GitHub PAT, IBM API key, Kubernetes token

	AccessKeyID, SecretAccessKey, Account, Region, RoleARN, ExternalID string // AWS; IBM has an account too

	TenantID, ClientID, ClientSecret string // Azure
	ClientCertificate                []byte // Azure: certificate and key in PEM, valid instead of the secret

	Project            string // Google
	ServiceAccountJSON []byte // Google

	TenancyOCID, UserOCID, Fingerprint, TenancyNamespace string // Oracle
	PrivateKey                                           []byte // Oracle: API signing key in PEM
}

// keys holds what the emulator verifies with.
type keys struct {
	token  [32]byte       // signs the tokens it issues
	client *rsa.PublicKey // of the client that signs: Google, Oracle
	azure  *x509.Certificate
}

// Login returns what gets in at present.
func (e *Emulator) Login() Login {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.login
}

// Rotate replaces all secrets and returns the new login. The old secrets are refused from now on, and so is every token
// that was issued for them.
func (e *Emulator) Rotate() (Login, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.login
	l.Password, l.Token, l.SecretAccessKey, l.ClientSecret = "", "", "", ""
	l.ClientCertificate, l.ServiceAccountJSON, l.PrivateKey = nil, nil, nil
	return e.complete(l)
}

// ExpireTokens makes every token issued so far invalid. Secrets stay valid.
func (e *Emulator) ExpireTokens() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.generation++
}

func (e *Emulator) makeLogin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, err := e.complete(e.o.Login)
	return err
}

// complete fills in a login and makes it the valid one. The caller holds the lock.
func (e *Emulator) complete(l Login) (Login, error) {
	e.generation++
	user := map[Kind]string{
		Harbor: "robot$emulator", Quay: e.o.Namespaces[0] + "+emulator", IBM: "iamapikey",
		OpenShift: "serviceaccount", OCIR: "emulatorns/user@example.com",
	}[e.o.Kind]
	set(&user, "emulator")
	set(&l.Username, user)
	set(&l.Password, "p-"+strings.ToLower(rand.Text()))
	set(&l.Token, "t-"+strings.ToLower(rand.Text()))
	var err error
	switch e.o.Kind {
	case ECR:
		set(&l.AccessKeyID, "AKIA"+rand.Text()[:16])
		set(&l.SecretAccessKey, rand.Text()+rand.Text()[:14])
		set(&l.Account, "123456789012")
		if e.o.Public {
			set(&l.Region, "us-east-1") // AWS: the public registry's API is in this region only
		}
		set(&l.Region, "eu-central-1")
	case IBM:
		set(&l.Account, "emulatedaccount0123456789abcdef0")
	case ACR:
		set(&l.TenantID, "11111111-2222-3333-4444-555555555555")
		set(&l.ClientID, "66666666-7777-8888-9999-000000000000")
		set(&l.ClientSecret, rand.Text())
		err = e.azureCertificate(&l)
	case GAR:
		set(&l.Project, "acme-project")
		err = e.serviceAccount(&l)
	case OCIR:
		set(&l.TenancyOCID, "ocid1.tenancy.oc1..emulator")
		set(&l.UserOCID, "ocid1.user.oc1..emulator")
		set(&l.TenancyNamespace, "emulatorns")
		err = e.signingKey(&l)
	}
	if err != nil {
		return Login{}, err
	}
	e.login = l
	return l, nil
}

// azureCertificate makes the certificate a service principal may use instead of its secret, or reads the given one.
func (e *Emulator) azureCertificate(l *Login) error {
	if l.ClientCertificate == nil {
		// RSA: Entra ID takes no other keys for client assertions.
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return fmt.Errorf("generate key: %w", err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "emulated service principal"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
		if err != nil {
			return fmt.Errorf("create certificate: %w", err)
		}
		private, err := privatePEM(k)
		if err != nil {
			return err
		}
		l.ClientCertificate = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), private...)
	}
	for rest := l.ClientCertificate; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return fmt.Errorf("client certificate: no certificate in it")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("client certificate: %w", err)
		}
		e.keys.azure = c
		return nil
	}
}

func privatePEM(k any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// serviceAccount makes the key file of a Google service account. Its token_uri leads to the emulator.
func (e *Emulator) serviceAccount(l *Login) error {
	if l.ServiceAccountJSON == nil {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return fmt.Errorf("generate key: %w", err)
		}
		private, err := privatePEM(k)
		if err != nil {
			return err
		}
		if l.ServiceAccountJSON, err = json.Marshal(map[string]string{
			"type": "service_account", "project_id": l.Project, "private_key_id": strings.ToLower(rand.Text()),
			"private_key": string(private), "client_email": "emulator@" + l.Project + ".iam.gserviceaccount.com",
			"client_id": "100000000000000000001", "token_uri": e.API + "/token", "auth_uri": e.API + "/auth",
			"universe_domain": "googleapis.com",
		}); err != nil {
			return fmt.Errorf("encode service account: %w", err)
		}
	}
	var doc struct {
		PrivateKey string `json:"private_key"`
	}
	if err := json.Unmarshal(l.ServiceAccountJSON, &doc); err != nil {
		return fmt.Errorf("service account: %w", err)
	}
	public, err := publicOf([]byte(doc.PrivateKey))
	if err != nil {
		return fmt.Errorf("service account: %w", err)
	}
	e.keys.client = public
	return nil
}

// signingKey makes the key pair that signs requests to Oracle's API.
func (e *Emulator) signingKey(l *Login) error {
	if l.PrivateKey == nil {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return fmt.Errorf("generate key: %w", err)
		}
		if l.PrivateKey, err = privatePEM(k); err != nil {
			return err
		}
	}
	public, err := publicOf(l.PrivateKey)
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	sum := md5.Sum(der) //nolint:gosec // see the import
	var parts []string
	for _, b := range sum {
		parts = append(parts, hex.EncodeToString([]byte{b}))
	}
	l.Fingerprint = strings.Join(parts, ":")
	e.keys.client = public
	return nil
}

func publicOf(private []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(private)
	if block == nil {
		return nil, fmt.Errorf("no key in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	k, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key is not RSA")
	}
	return &k.PublicKey, nil
}
