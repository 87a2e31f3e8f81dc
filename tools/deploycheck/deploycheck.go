// Package deploycheck reads deploy/ as its consumers would: manifests by the types of k8s.io/api, strictly, compose files
// by the reference implementation. Its tests also run every container's settings through the binary.
package deploycheck

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// Manifests are what a file of manifests declares.
type Manifests struct {
	ConfigMaps   []corev1.ConfigMap
	Services     []corev1.Service
	Jobs         []batchv1.Job
	StatefulSets []appsv1.StatefulSet
	Budgets      []policyv1.PodDisruptionBudget
}

// ReadManifests takes no field that the types do not have, none twice, and no kind that it does not know.
func ReadManifests(file string) (*Manifests, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m := &Manifests{}
	for i, doc := range bytes.Split(b, []byte("\n---\n")) {
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := yaml.Unmarshal(doc, &head); err != nil {
			return nil, fmt.Errorf("document %d: %w", i+1, err)
		}
		if err := m.take(head.APIVersion+" "+head.Kind, doc); err != nil {
			return nil, fmt.Errorf("document %d, %s: %w", i+1, head.Kind, err)
		}
	}
	return m, nil
}

func (m *Manifests) take(what string, doc []byte) error {
	switch what {
	case "v1 ConfigMap":
		return strict(doc, &m.ConfigMaps)
	case "v1 Service":
		return strict(doc, &m.Services)
	case "batch/v1 Job":
		return strict(doc, &m.Jobs)
	case "apps/v1 StatefulSet":
		return strict(doc, &m.StatefulSets)
	case "policy/v1 PodDisruptionBudget":
		return strict(doc, &m.Budgets)
	}
	return fmt.Errorf("unknown kind %q", what)
}

func strict[T any](doc []byte, all *[]T) error {
	var one T
	if err := yaml.UnmarshalStrict(doc, &one); err != nil {
		return err
	}
	*all = append(*all, one)
	return nil
}

// ReadCompose loads a compose file with all its profiles.
func ReadCompose(ctx context.Context, file string) (*types.Project, error) {
	o, err := cli.NewProjectOptions([]string{file}, cli.WithProfiles([]string{"*"}), cli.WithDefaultProfiles("*"))
	if err != nil {
		return nil, err
	}
	return o.LoadProject(ctx)
}

// Command is one container of ours: what the binary is told.
type Command struct {
	Where string
	Args  []string
	Env   map[string]string
}

// Commands are those of a file of manifests, with the pod's fields and config maps filled in.
func (m *Manifests) Commands(fields map[string]string) []Command {
	var all []Command
	for _, j := range m.Jobs {
		all = append(all, m.commandsOf(j.Name, j.Spec.Template.Spec.Containers, fields)...)
	}
	for _, s := range m.StatefulSets {
		all = append(all, m.commandsOf(s.Name, s.Spec.Template.Spec.Containers, fields)...)
	}
	return all
}

func (m *Manifests) commandsOf(where string, containers []corev1.Container, fields map[string]string) []Command {
	var all []Command
	for _, c := range containers {
		env := map[string]string{}
		for _, from := range c.EnvFrom {
			for _, cm := range m.ConfigMaps {
				if from.ConfigMapRef != nil && from.ConfigMapRef.Name == cm.Name {
					for k, v := range cm.Data {
						env[k] = v
					}
				}
			}
		}
		for _, e := range c.Env {
			value := e.Value
			if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
				value = fields[e.ValueFrom.FieldRef.FieldPath]
			}
			for name, v := range env { // as Kubernetes does: of what stands above
				value = strings.ReplaceAll(value, "$("+name+")", v)
			}
			env[e.Name] = value
		}
		all = append(all, Command{Where: where + "/" + c.Name, Args: c.Args, Env: env})
	}
	return all
}
