// Every Istio program of the lab in one binary: the name it is called by (or the first argument) chooses which one runs.
// "manifests FILE OUTPUT" writes a file of Istio's own built-in charts, "render NAMESPACE VALUES OUTPUT" the istiod chart, rendered:
// to files, since Istio's packages log to standard output before main starts.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/manifests"
	"istio.io/istio/operator/pkg/helm"
	"istio.io/istio/operator/pkg/values"
	agent "istio.io/istio/pilot/cmd/pilot-agent/app"
	discovery "istio.io/istio/pilot/cmd/pilot-discovery/app"
	istioagent "istio.io/istio/pkg/istio-agent"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/nodeagent/sds"
)

func main() {
	name := filepath.Base(os.Args[0])
	if name != "pilot-agent" && name != "pilot-discovery" && len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = os.Args[1:]
	}
	if err := run(name, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	switch name {
	case "pilot-agent":
		log.EnableKlogWithCobra()
		return agent.NewRootCommand(func(options *security.Options, cache security.SecretManager, conf *meshconfig.PrivateKeyProvider) istioagent.SDSService {
			return sds.NewServer(options, cache, conf)
		}).Execute()
	case "pilot-discovery":
		log.EnableKlogWithCobra()
		return discovery.NewRootCommand().Execute()
	case "manifests":
		if len(args) != 2 {
			return fmt.Errorf("usage: istio manifests FILE OUTPUT")
		}
		content, err := fs.ReadFile(manifests.FS, args[0])
		if err != nil {
			return err
		}
		return os.WriteFile(args[1], content, 0o644)
	case "render":
		if len(args) != 3 {
			return fmt.Errorf("usage: istio render NAMESPACE VALUES.yaml OUTPUT")
		}
		return render(args[0], args[1], args[2])
	}
	return fmt.Errorf("usage: istio pilot-agent|pilot-discovery|manifests|render, not %q", name)
}

func render(namespace, file, output string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var chartValues map[string]any
	if err := yaml.Unmarshal(content, &chartValues); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	rendered, warnings, err := helm.Render("istiod", namespace, "istio-control/istio-discovery", values.Map{"spec": map[string]any{"values": chartValues}}, nil)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintln(os.Stderr, warning)
	}
	var documents strings.Builder
	for _, manifest := range rendered {
		fmt.Fprintf(&documents, "---\n%s\n", manifest.Content)
	}
	return os.WriteFile(output, []byte(documents.String()), 0o644)
}
