package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// proxy stands between the browser and the node, so that a test can cut the wire.
type proxy struct {
	l    net.Listener
	node string

	mu    sync.Mutex
	shut  bool
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, node string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, node: node, conns: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut()
		running.Wait()
	})
	return p
}

func (p *proxy) url() string { return "http://" + p.l.Addr().String() }

func (p *proxy) carry(browser net.Conn) {
	defer browser.Close()
	node, err := net.Dial("tcp", p.node)
	if err != nil {
		return
	}
	defer node.Close()
	if !p.note(browser, node) {
		return
	}
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(node, browser)
		node.Close()
		close(done)
	}()
	_, _ = io.Copy(browser, node)
	browser.Close()
	<-done
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, browser)
	delete(p.conns, node)
}

func (p *proxy) note(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	return !p.shut
}

// cut ends every connection, and those that come, until mend.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = false
}

// tab is the page in a window of one size.
type tab struct {
	t    *testing.T
	ctx  context.Context
	name string // "phone", "desk": part of the screenshots' names
	wide int64  // of the window, in pixels

	mu      sync.Mutex
	expects bool // errors about the network are part of the test now
	errors  []string
}

// browse starts a browser; newTab opens a tab in it.
func browse(t *testing.T) context.Context {
	t.Helper()
	ctx, end := context.WithTimeout(context.Background(), 4*time.Minute) // it ends in a Cleanup, when the test's context is over
	// As root, as in a container, Chromium has no sandbox; it sees nothing but this page.
	ctx, stop := chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(chromedp.NoSandbox))
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("no browser: %v (scripts/deps.sh chromium installs it)", err)
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("the browser does not end: %v", err)
		}
		stop()
		end()
	})
	return ctx
}

func newTab(browser context.Context, t *testing.T, name string, width, height int64, options ...chromedp.EmulateViewportOption) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser)
	b := &tab{t: t, ctx: ctx, name: name, wide: width}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height, options...)); err != nil {
		t.Fatal(err)
	}
	console := chromedp.Console(ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		for m, err := range console {
			if err != nil {
				return
			}
			b.note(m)
		}
	})
	t.Cleanup(func() {
		stop()
		reading.Wait()
	})
	return b
}

func (b *tab) note(m chromedp.ConsoleMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	network := m.Source == "network" || strings.Contains(m.Text, "WebSocket connection to")
	if (m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException) && (!b.expects || !network) {
		b.errors = append(b.errors, m.String())
	}
}

// networkFails says whether the network's errors are expected from now on.
func (b *tab) networkFails(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expects = yes
}

func (b *tab) noErrors() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errors {
		b.t.Errorf("%s: console: %s", b.name, e)
	}
	b.errors = nil
}

func (b *tab) open(url string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(url)); err != nil {
		b.t.Fatalf("%s: %s: %v", b.name, url, err)
	}
}

// until waits for a JavaScript expression to be true.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(40*time.Second)))
	if err != nil {
		b.shoot("failed")
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("%s: never: %s (%v)\n%s", b.name, what, err, text)
	}
}

// read evaluates a JavaScript expression.
func read[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %s: %v", b.name, expression, err)
	}
	return v
}

// shoot writes what is on the screen to bin/test, for people to look at.
func (b *tab) shoot(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Errorf("%s: screenshot: %v", b.name, err)
		return
	}
	folder := filepath.Join("..", "..", "bin", "test")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "page-"+name+"-"+b.name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// dark asks for the dark colours.
func (b *tab) dark() {
	b.t.Helper()
	err := chromedp.Do(b.ctx, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
		return chromedp.Void{}, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// fits is that nothing is wider than the window, which a phone would make wider with it.
func (b *tab) fits() {
	b.t.Helper()
	wide := read[[]string](b, fmt.Sprintf(`[...document.querySelectorAll("body *")]
		.filter((e) => !e.closest("svg") && !e.closest(".scroll") && e.getBoundingClientRect().right > %d + 0.5)
		.map((e) => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40))`, b.wide))
	if over := read[int64](b, "document.documentElement.scrollWidth") - b.wide; over > 0 || len(wide) > 0 {
		b.t.Errorf("%s: %d pixels wider than the window: %q", b.name, over, wide)
	}
}

// accessible is that axe finds nothing serious.
func (b *tab) accessible(axe string) {
	b.t.Helper()
	if !read[bool](b, "typeof axe === 'object'") {
		read[bool](b, axe+"\n;true")
	}
	found := read[string](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(
		r.violations.filter((v) => v.impact === "serious" || v.impact === "critical")
			.map((v) => v.id + ": " + v.help + ": " + v.nodes.map((n) => n.html.slice(0, 120) + " " + (n.any[0]?.message ?? "")).slice(0, 3).join(" | "))))`)
	var violations []string
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		b.t.Errorf("%s: axe: %s", b.name, v)
	}
}
