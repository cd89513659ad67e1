package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/goccy/go-yaml"

	"hufu/certs/bundle"
)

// crossCommands are about cross certificates (交叉证书), by the API of a running server.
type crossCommands struct {
	List    crossListCommand    `cmd:"" help:"List cross certificates both ways. Example: hufu ca cross list"`
	Propose crossProposeCommand `cmd:"" help:"Propose to certify another authority's key. Example: hufu ca cross propose other-root.pem --path-len 0 --terms terms.yaml --reason 互认协议"`
	Accept  crossAcceptCommand  `cmd:"" help:"Propose to publish a cross certificate that another issued for us. Example: hufu ca cross accept ours-by-bridge.pem --reason 桥接"`
	Review  crossReviewCommand  `cmd:"" help:"Agree to one or reject it. Example: hufu ca cross review ID --approve"`
	Issue   crossIssueCommand   `cmd:"" help:"Sign one that two agreed to. Example: hufu ca cross issue ID"`
	Remove  crossRemoveCommand  `cmd:"" help:"Withdraw a proposal, or publish no longer. Example: hufu ca cross remove ID"`
}

const crossPath = "/api/v1/cross-certificates"

type crossListCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *crossListCommand) Run(con *console) error {
	return listMotions(con, c.remote, crossPath, c.JSON)
}

type crossProposeCommand struct {
	remote
	Proof   string `arg:"" type:"path" help:"Request or self-signed CA certificate of the other authority, PEM."`
	PathLen int    `default:"0" help:"CAs below it, 0 to 3."`
	Days    int    `help:"Validity; without it the profile's."`
	Terms   string `type:"path" help:"YAML with names (permitted, excluded: dns, email, directory) and policies (ours, theirs)." placeholder:"FILE"`
	Reason  string `required:"" help:"It is kept." placeholder:"TEXT"`
	DryRun  bool   `help:"Print what would be proposed."`
	JSON    bool   `help:"Print JSON."`
}

func (c *crossProposeCommand) Run(con *console) error {
	proof, err := readText(c.Proof)
	if err != nil {
		return err
	}
	var terms struct {
		Names    *bundle.Names       `json:"names"`
		Policies []bundle.PolicyPair `json:"policies"`
	}
	if c.Terms != "" {
		text, err := readText(c.Terms)
		if err != nil {
			return err
		}
		converted, err := yaml.YAMLToJSON([]byte(text))
		if err == nil {
			err = json.Unmarshal(converted, &terms)
		}
		if err != nil {
			return errEntryFile.With("terms: %w", err)
		}
	}
	call := map[string]any{"proof": proof, "path_len": c.PathLen, "days": c.Days, "reason": c.Reason}
	if terms.Names != nil {
		call["names"] = terms.Names
	}
	if len(terms.Policies) > 0 {
		call["policies"] = terms.Policies
	}
	if c.DryRun {
		return printJSON(con.out, call)
	}
	return proposed(con, c.remote, crossPath, call, c.JSON)
}

type crossAcceptCommand struct {
	remote
	Certificate string `arg:"" type:"path" help:"What the other authority issued for a key of ours, PEM."`
	Reason      string `required:"" help:"It is kept." placeholder:"TEXT"`
	JSON        bool   `help:"Print JSON."`
}

func (c *crossAcceptCommand) Run(con *console) error {
	text, err := readText(c.Certificate)
	if err != nil {
		return err
	}
	return proposed(con, c.remote, crossPath+"/accept", map[string]any{"certificate": text, "reason": c.Reason}, c.JSON)
}

type crossReviewCommand struct {
	remote
	ID      string `arg:"" help:"Of the cross certificate."`
	Approve bool   `help:"Agree." xor:"decision" required:""`
	Reject  string `help:"Reject it for this reason." xor:"decision" required:"" placeholder:"TEXT"`
	JSON    bool   `help:"Print JSON."`
}

func (c *crossReviewCommand) Run(con *console) error {
	return proposed(con, c.remote, crossPath+"/"+url.PathEscape(c.ID)+"/decision", map[string]any{"approve": c.Approve, "reason": c.Reject}, c.JSON)
}

type crossIssueCommand struct {
	remote
	ID   string `arg:"" help:"Of the cross certificate."`
	JSON bool   `help:"Print JSON."`
}

func (c *crossIssueCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var m motionLine
	if err := s.ask(con.ctx, http.MethodPost, crossPath+"/"+url.PathEscape(c.ID)+"/issue", nil, &m); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, m)
	}
	_, err = fmt.Fprint(con.out, m.Certificate)
	return err
}

type crossRemoveCommand struct {
	remote
	ID string `arg:"" help:"Of the cross certificate."`
}

func (c *crossRemoveCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	if err := s.ask(con.ctx, http.MethodDelete, crossPath+"/"+url.PathEscape(c.ID), nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "%s is withdrawn. 已撤回。\n", c.ID)
	return nil
}
