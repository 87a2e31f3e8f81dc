package deploycheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const root = "../.."

var (
	manifests = filepath.Join(root, "deploy", "kubernetes.yaml")
	compose   = []string{filepath.Join(root, "deploy", "compose.yaml"), filepath.Join(root, "deploy", "cluster.compose.yaml")}
)

func read(t *testing.T) *Manifests {
	t.Helper()
	m, err := ReadManifests(manifests)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestManifestsFitTogether: what refers to something else finds it.
func TestManifestsFitTogether(t *testing.T) {
	m := read(t)
	if len(m.StatefulSets) != 1 || len(m.Budgets) != 1 || len(m.Jobs) != 1 || len(m.Services) != 2 {
		t.Fatalf("%d stateful sets, %d budgets, %d jobs, %d services", len(m.StatefulSets), len(m.Budgets), len(m.Jobs), len(m.Services))
	}
	s := m.StatefulSets[0]
	pod := s.Spec.Template
	if *s.Spec.Replicas != 3 || m.Budgets[0].Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("%d replicas, %v may be away", *s.Spec.Replicas, m.Budgets[0].Spec.MaxUnavailable)
	}
	selects := func(what string, labels map[string]string) {
		t.Helper()
		if len(labels) == 0 {
			t.Errorf("%s selects everything", what)
		}
		for k, v := range labels {
			if pod.Labels[k] != v {
				t.Errorf("%s selects %s=%s, pods have %q", what, k, v, pod.Labels[k])
			}
		}
	}
	selects("the stateful set", s.Spec.Selector.MatchLabels)
	selects("the budget", m.Budgets[0].Spec.Selector.MatchLabels)
	named := map[string]corev1.ContainerPort{}
	for _, p := range pod.Spec.Containers[0].Ports {
		named[p.Name] = p
	}
	headless := false
	for _, svc := range m.Services {
		selects("service "+svc.Name, svc.Spec.Selector)
		headless = headless || svc.Name == s.Spec.ServiceName && svc.Spec.ClusterIP == corev1.ClusterIPNone && svc.Spec.PublishNotReadyAddresses
		for _, p := range svc.Spec.Ports {
			to, ok := named[p.TargetPort.StrVal]
			if !ok || protocol(to.Protocol) != protocol(p.Protocol) {
				t.Errorf("service %s, port %s: no %s port %q in the pod", svc.Name, p.Name, protocol(p.Protocol), p.TargetPort.StrVal)
			}
		}
	}
	if !headless {
		t.Errorf("%s is no headless service with all addresses", s.Spec.ServiceName)
	}
	c := pod.Spec.Containers[0]
	for what, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != what || probe.HTTPGet.Port != intstr.FromString("http") {
			t.Errorf("the probe of %s is %v", what, probe)
		}
	}
	if given, want := time.Duration(c.LivenessProbe.TimeoutSeconds)*time.Second, answersWithin(t); given <= want {
		t.Errorf("the liveness probe waits %v; the node itself waits %v for what may be stuck, and could not say so", given, want)
	}
	volumes(t, "stateful set", pod.Spec)
	volumes(t, "job", m.Jobs[0].Spec.Template.Spec)
}

// answersWithin is how long a node waits at most before it answers whether it is alive.
func answersWithin(t *testing.T) time.Duration {
	t.Helper()
	code, err := os.ReadFile(filepath.Join(root, "cmd", "node", "probes.go"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`const answersWithin = (\d+) \* time\.Second`).FindSubmatch(code)
	if m == nil {
		t.Fatal("cmd/node/probes.go has no answersWithin in seconds")
	}
	d, err := time.ParseDuration(string(m[1]) + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func protocol(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}

// volumes: every mount has a volume, every volume is mounted, and every file that is named lies in a mount.
func volumes(t *testing.T, what string, pod corev1.PodSpec) {
	t.Helper()
	there, used := map[string]bool{}, map[string]bool{}
	for _, v := range pod.Volumes {
		there[v.Name] = true
	}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		for _, m := range c.VolumeMounts {
			used[m.Name] = true
			if !there[m.Name] {
				t.Errorf("%s: %s mounts %s, which is not there", what, c.Name, m.Name)
			}
		}
		for _, e := range c.Env {
			if !strings.HasPrefix(e.Value, "/") {
				continue
			}
			in := false
			for _, m := range c.VolumeMounts {
				in = in || e.Value == m.MountPath || strings.HasPrefix(e.Value, m.MountPath+"/")
			}
			if !in {
				t.Errorf("%s: %s=%s lies in no volume", what, e.Name, e.Value)
			}
		}
	}
	for v := range there {
		if !used[v] {
			t.Errorf("%s: nobody mounts %s", what, v)
		}
	}
}

// TestComposeFilesLoad by the reference implementation.
func TestComposeFilesLoad(t *testing.T) {
	for file, nodes := range map[string]int{compose[0]: 1, compose[1]: 3} {
		p, err := ReadCompose(t.Context(), file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		scyllas, ours := 0, 0
		for _, s := range p.Services {
			switch {
			case strings.HasPrefix(s.Image, "scylladb/"):
				scyllas++
			case len(s.Command) > 0 && s.Command[0] == "run":
				ours++
			}
		}
		if scyllas != 3 || ours != nodes {
			t.Errorf("%s: %d ScyllaDB services, %d nodes, want 3 and %d", file, scyllas, ours, nodes)
		}
	}
	p, err := ReadCompose(t.Context(), compose[1])
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		if len(s.Profiles) > 0 {
			t.Errorf("%s does not start by itself: %v", name, s.Profiles)
		}
	}
}

// TestTheBinaryTakesTheSettings: every flag and every PACELINE_ variable is one of the binary's, and all of a node's
// together are settings that it would start with. What it is given to stop is enough.
func TestTheBinaryTakesTheSettings(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "paceline")
	build := exec.Command("go", "build", "-o", bin, "./cmd/node")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	secrets := t.TempDir()
	run(t, bin, nil, "certs", "--dir="+secrets, "node")
	if err := os.WriteFile(filepath.Join(secrets, "password"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Files of the secrets, as they are mounted.
	mounted := strings.NewReplacer("/secrets/gossip/gossip.key", secrets+"/gossip.key", "/secrets/node/tls.crt", secrets+"/node.pem",
		"/secrets/node/tls.key", secrets+"/node.key", "/secrets/node/ca.crt", secrets+"/ca.pem", "/secrets/cql/password", secrets+"/password")
	m := read(t)
	commands := m.Commands(map[string]string{"metadata.name": "paceline-0", "status.podIP": "10.1.2.3"})
	grace := map[string]time.Duration{}
	pod := m.StatefulSets[0].Spec.Template.Spec
	sleep, err := time.ParseDuration(pod.Containers[0].Lifecycle.PreStop.Exec.Command[1] + "s")
	if err != nil {
		t.Fatal(err)
	}
	grace["paceline/paceline"] = time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second - sleep
	for _, file := range compose {
		p, err := ReadCompose(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range p.Services {
			if s.Image != "paceline" {
				continue
			}
			env := map[string]string{}
			for k, v := range s.Environment {
				env[k] = *v
			}
			where := filepath.Base(file) + "/" + name
			commands = append(commands, Command{Where: where, Args: s.Command, Env: env})
			if s.StopGracePeriod != nil {
				grace[where] = time.Duration(*s.StopGracePeriod)
			}
		}
	}
	if len(commands) != 8 {
		t.Errorf("%d commands, want those of 5 nodes and 3 migrations", len(commands))
	}
	for _, c := range commands {
		t.Run(c.Where, func(t *testing.T) {
			settings := effective(t, bin, c, mounted)
			if c.Args[0] != "run" {
				return
			}
			need := 5 * time.Second // to leave
			for _, name := range []string{"goodbye-within", "drain-within"} {
				d, err := time.ParseDuration(fmt.Sprint(settings[name]))
				if err != nil {
					t.Fatal(err)
				}
				need += d
			}
			if got := grace[c.Where]; got < need {
				t.Errorf("it is given %v to stop, and may take %v", got, need)
			}
		})
	}
}

var envName = regexp.MustCompile(`\$PACELINE_[A-Z0-9_]+`)

// effective checks every name, and is what the binary makes of all of them.
func effective(t *testing.T, bin string, c Command, mounted *strings.Replacer) map[string]any {
	t.Helper()
	help := run(t, bin, nil, c.Args[0], "--help")
	print := run(t, bin, nil, "config", "print", "--help")
	// One config map is for nodes and migrations: a name is right if either takes it.
	known := map[string]bool{}
	for _, name := range envName.FindAllString(help+print+run(t, bin, nil, "migrate", "--help"), -1) {
		known[name[1:]] = true
	}
	var env, args []string
	for name, value := range c.Env {
		if !strings.HasPrefix(name, "PACELINE_") {
			continue
		}
		if !known[name] {
			t.Errorf("the binary has no setting %s", name)
		}
		env = append(env, name+"="+mounted.Replace(value))
	}
	for _, a := range c.Args[1:] {
		flag, _, _ := strings.Cut(a, "=")
		if !strings.Contains(help, flag+"=") {
			t.Errorf("paceline %s has no %s", c.Args[0], flag)
		}
		if strings.Contains(print, flag+"=") {
			args = append(args, a)
		}
	}
	var settings map[string]any
	out := run(t, bin, env, append([]string{"config", "print"}, args...)...)
	if err := json.Unmarshal([]byte(out), &settings); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(t.TempDir(), "effective.json")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, bin, nil, "config", "check", file)
	return settings
}

func run(t *testing.T, bin string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(bin, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(env, "HOME="+t.TempDir())
	if err := cmd.Run(); err != nil {
		t.Fatalf("paceline %s: %v: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}
