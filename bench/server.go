package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/bench/cost"
)

// server is the whole of Tidewaiter in a process of its own, used over HTTP.
type server struct {
	url, token string
	qualys     string // token for the other vendor's API
	data       string // its folder
	cmd        *exec.Cmd
	stdin      io.Closer
	out        *json.Decoder
	log        bytes.Buffer
}

// serve starts a server with a database of its own and logs in.
func (l *lab) serve(ctx context.Context, args ...string) (*server, error) {
	data, err := os.MkdirTemp(l.dir, "data-")
	if err != nil {
		return nil, err
	}
	s, err := l.start(ctx, data, args...)
	if err != nil {
		return nil, err
	}
	var login struct{ Token string }
	credentials := map[string]string{"username": "admin", "password": adminPassword}
	if err := s.call(ctx, http.MethodPost, "/api/v1/authenticate", credentials, &login); err != nil {
		_, stopped := s.stop()
		return nil, errors.Join(err, stopped)
	}
	s.token = login.Token
	return s, nil
}

// again stops a server and starts one in its place, where nobody logs in: the old one's token is good for it.
func (l *lab) again(ctx context.Context, old *server, args ...string) (*server, error) {
	if _, err := old.stop(); err != nil {
		return nil, err
	}
	s, err := l.start(ctx, old.data, args...)
	if err == nil {
		s.token = old.token
	}
	return s, err
}

func (l *lab) start(ctx context.Context, data string, args ...string) (s *server, err error) {
	args = append([]string{childFlag, "serve", "-data", data}, args...)
	s = &server{data: data, cmd: exec.CommandContext(ctx, l.self, args...)} //nolint:gosec // this program
	s.cmd.Stderr = &s.log
	s.cmd.Env = append(os.Environ(), "TMPDIR="+l.temp())
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.out = json.NewDecoder(stdout)
	if err := s.out.Decode(&s.url); err != nil {
		_, stopped := s.stop()
		return nil, fmt.Errorf("start the server: %w\n%s", errors.Join(err, stopped), s.log.Bytes())
	}
	return s, nil
}

// stop ends the server and returns what it took since it was up. It ends within its own time limit.
func (s *server) stop() (c cost.Cost, err error) {
	err = s.stdin.Close()
	if e := s.out.Decode(&c); e != nil {
		err = errors.Join(err, fmt.Errorf("stop the server: %w\n%s", e, s.log.Bytes()))
	}
	return c, errors.Join(err, s.cmd.Wait())
}

// call sends body as JSON and reads the answer into out, either of which may be nil.
func (s *server) call(ctx context.Context, method, path string, body, out any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

const settingsPath = "/api/v1/settings/registry"

// settings is the part of Prisma's registry settings that is used here.
type settings struct {
	Specifications []specification `json:"specifications"`
}

type specification struct {
	Version    string `json:"version"`
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	OS         string `json:"os"`
	Cap        int    `json:"cap"`
	ScanStatus string `json:"scanStatus,omitempty"` // in answers
	ScanError  string `json:"scanError,omitempty"`  // in answers
}

// scanRegistry declares a registry and waits until all of it is scanned.
func (s *server) scanRegistry(ctx context.Context, url, repository string) error {
	declared := settings{[]specification{{Version: "2", Registry: url, Repository: repository, OS: "linux"}}}
	if err := s.call(ctx, http.MethodPut, settingsPath, declared, nil); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); {
		var now settings
		if err := s.call(ctx, http.MethodGet, settingsPath, nil, &now); err != nil {
			return err
		}
		if len(now.Specifications) != 1 {
			return fmt.Errorf("%d registries are declared", len(now.Specifications))
		}
		switch spec := now.Specifications[0]; {
		case spec.ScanError != "" || spec.ScanStatus == "failed" || spec.ScanStatus == "stopped":
			return fmt.Errorf("scan %s: %s", spec.ScanStatus, spec.ScanError)
		case spec.ScanStatus == "completed":
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("the scan does not end")
}

// metric reads a counter from /metrics.
func (s *server) metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}
