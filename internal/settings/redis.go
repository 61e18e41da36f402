package settings

import (
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/lock"
)

// Redis says where the lock lives.
type Redis struct {
	URLs         []string     `name:"redis-url" env:"REDIS_URL" default:"redis://localhost:6379/0" help:"One Redis, or three or five independent ones for a quorum, comma-separated: redis://user:password@host:port/db, and rediss:// for TLS."`
	PasswordFile string       `name:"redis-password-file" env:"REDIS_PASSWORD_FILE" type:"path" help:"File whose first line replaces the password in every URL; without it the variable REDIS_PASSWORD does."`
	Certificates Certificates `embed:"" prefix:"redis-" envprefix:"REDIS_"`
}

// Clients are connections to every server, which are made when they are needed. Who may
// talk to them is added to cfg.
func (s Redis) Clients(cfg lock.ClientConfig) ([]redis.UniversalClient, error) {
	access, err := s.access("REDIS_")
	if err != nil {
		return nil, err
	}
	cfg.Password, cfg.TLS = access.Password, access.TLS
	return lock.NewClients(s.URLs, cfg)
}

// access is how the servers are talked to: the password and what TLS is spoken
// with. variables is what the names of the settings begin with.
func (s Redis) access(variables string) (lock.ClientConfig, error) {
	var cfg lock.ClientConfig
	var err error
	cfg.Password, err = secret(s.PasswordFile, variables+"PASSWORD")
	if err != nil || !s.Certificates.any() {
		return cfg, err
	}
	for i, url := range s.URLs {
		if !strings.HasPrefix(url, "rediss://") {
			return cfg, fmt.Errorf("redis URL %d of %d does not begin with rediss://, and %[3]sCA_FILE, %[3]sCERT_FILE and %[3]sTLS_INSECURE ask for TLS: write rediss://, or remove them",
				i+1, len(s.URLs), variables)
		}
	}
	cfg.TLS, err = s.Certificates.config(variables)
	return cfg, err
}
