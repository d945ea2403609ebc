{{/* The begin of all names: the release's, with the chart's unless it says so itself. */}}
{{- define "mandate.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- $name | trunc 44 | trimSuffix "-" -}}
{{- end }}

{{/* What tells the pods of one workload, or with component "" of all of them. Takes root, component. */}}
{{- define "mandate.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* Name and labels of an object. Takes root, component. */}}
{{- define "mandate.metadata" -}}
name: {{ include "mandate.name" .root }}-{{ .component }}
labels:
  {{- include "mandate.selector" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* The image, by digest where there is one. */}}
{{- define "mandate.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* Which values of which existing Secret each workload holds: {workload: {secret: [key]}}. An issuer reads and writes by
     a role of the database of its own, and opens signing keys alone; a gateway opens all but them. */}}
{{- define "mandate.secrets" -}}
{{- $any := list "secret_key" "redis_url" -}}
{{- $key := list "key_encryption_key" -}}
{{- $signing := list "signing_key_encryption_key" -}}
{{- if .Values.replacesKey }}
{{- $key = append $key "key_encryption_key_previous" }}
{{- $signing = append $signing "signing_key_encryption_key_previous" }}
{{- end }}
{{- $all := concat $any $key (list "database_url") -}}
{{- $feed := ternary (list "feed_database_url") list .Values.pooler -}}
{{- $mail := ternary (list "mail_url") list (hasKey .Values.config "MAIL_FROM") -}}
{{- $oidc := ternary (list "oidc_client_secret") list (hasKey .Values.config "OIDC_ISSUER") -}}
{{- if hasKey .Values.config "TRANSIT_URL" }}{{ $signing = append $signing "transit_token" }}{{ end -}}
{{- if hasKey .Values.config "PKCS11_MODULE" }}{{ $signing = append $signing "pkcs11_pin" }}{{ end -}}
{{- $anchors := list "seal_database_url" "seal_key" -}}
{{- if hasKey .Values.config "ANCHOR_BUCKET_URL" }}{{ $anchors = append $anchors "anchor_bucket_secret" }}{{ end -}}
{{- if hasKey .Values.config "ANCHOR_WEBHOOK_URL" }}{{ $anchors = append $anchors "anchor_webhook_token" }}{{ end -}}
{{- $metrics := list "metrics_token" -}}
{{- $collector := ternary (list "otel_exporter_otlp_headers") list (hasKey .Values.config "OTEL_EXPORTER_OTLP_ENDPOINT") -}}
web: { shared: {{ concat $all $metrics $oidc $mail $collector | toJson }}, issuer: {{ toJson $signing }} }
issuer:
  shared: {{ concat $any $metrics $collector | toJson }}
  issuer: {{ concat $signing (list "issue_database_url") $feed | toJson }}
gateway: { shared: {{ concat $all $metrics $feed $collector | toJson }} }
worker: { shared: {{ concat $all $feed $mail $collector | toJson }}, issuer: {{ toJson $signing }} }
beat: { shared: {{ $all | toJson }} }
slack: { shared: {{ $all | toJson }} }
sealer: { shared: {{ concat $all $feed | toJson }}, sealer: {{ toJson $anchors }} }
migrate: { shared: {{ $all | toJson }}, migrate: [migrate_database_url] }
{{- end }}

{{/* The host of consoleUrl or gatewayUrl, which must differ. Takes root, url. */}}
{{- define "mandate.host" -}}
{{- $console := get (urlParse .root.Values.consoleUrl) "hostname" -}}
{{- $gateway := get (urlParse .root.Values.gatewayUrl) "hostname" -}}
{{- if eq $console $gateway }}{{ fail "consoleUrl and gatewayUrl must name different hosts." }}{{ end -}}
{{- get (urlParse .url) "hostname" -}}
{{- end }}
