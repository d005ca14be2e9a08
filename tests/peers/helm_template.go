// SPDX-License-Identifier: Apache-2.0
// helm_template CHART NAMESPACE VALUES: what `helm template` prints of a chart without dependencies, for machines without
// Helm. Go's own template engine and sprig, as in Helm; toYaml, required, fail and include are Helm's additions.
// VALUES is a JSON object, laid over the chart's values.yaml.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type object = map[string]interface{}

func readYaml(path string) object {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	out := object{}
	if err := yaml.Unmarshal(text, &out); err != nil {
		log.Fatal(path, ": ", err)
	}
	return out
}

// merge lays `over` over `under`: objects are merged, all else is replaced.
func merge(under, over object) {
	for key, value := range over {
		into, isObject := under[key].(object)
		from, fromObject := value.(object)
		if isObject && fromObject {
			merge(into, from)
			continue
		}
		if _, known := under[key]; !known {
			log.Fatal("values.yaml has no ", key)
		}
		under[key] = value
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("helm_template CHART NAMESPACE VALUES")
	}
	chart := readYaml(filepath.Join(os.Args[1], "Chart.yaml"))
	values := readYaml(filepath.Join(os.Args[1], "values.yaml"))
	over := object{}
	if err := json.Unmarshal([]byte(os.Args[3]), &over); err != nil {
		log.Fatal(err)
	}
	merge(values, over)
	top := template.New("chart").Option("missingkey=error")
	functions := sprig.TxtFuncMap()
	functions["fail"] = func(why string) (string, error) { return "", errors.New(why) }
	functions["required"] = func(why string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(why)
		}
		return value, nil
	}
	functions["toYaml"] = func(value interface{}) (string, error) {
		out, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(out), "\n"), err
	}
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := top.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	top.Funcs(functions)
	paths, _ := filepath.Glob(filepath.Join(os.Args[1], "templates", "*"))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		template.Must(top.New(filepath.Base(path)).Parse(string(text)))
	}
	data := object{
		"Values":  values,
		"Chart":   object{"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
		"Release": object{"Name": "memcrest", "Namespace": os.Args[2], "Service": "Helm"},
	}
	for _, path := range paths {
		var out bytes.Buffer
		if err := top.ExecuteTemplate(&out, filepath.Base(path), data); err != nil {
			log.Fatal(err)
		}
		if strings.HasSuffix(path, ".yaml") && strings.TrimSpace(out.String()) != "" {
			fmt.Printf("---\n# Source: %s\n%s\n", filepath.Base(path), out.String())
		}
	}
}
