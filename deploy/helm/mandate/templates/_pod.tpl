{{/* The pod of a workload. Takes root, component, args, and as needed: env {NAME: value}, port, mounts, volumes, tmp
     (size), grace (seconds), fsGroup, restartPolicy. With a port it is asked over HTTP, else by its ALIVE_FILE. */}}
{{- define "mandate.pod" -}}
{{- $values := index .root.Values .component -}}
{{- $packages := ternary .root.Values.packages.existingClaim "" (has .component (list "web" "gateway" "worker")) -}}
{{- $secrets := index (include "mandate.secrets" .root | fromYaml) .component -}}
metadata:
  labels:
    {{- include "mandate.selector" . | nindent 4 }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .grace | default 30 }}
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  # No user is named: the image's own or, on OpenShift, the project's.
  securityContext:
    runAsNonRoot: true
    seccompProfile: { type: RuntimeDefault }
    {{- with .fsGroup }}
    fsGroup: {{ . }}
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "mandate.selector" $ | nindent 10 }}
    {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "mandate.image" .root }}
      args:
        {{- toYaml .args | nindent 8 }}
      env:
        {{- include "mandate.env" . | trim | nindent 8 }}
      {{- with .port }}
      ports:
        - { name: http, containerPort: {{ . }} }
      # For as long as it may still be sent requests, it takes them.
      lifecycle:
        preStop: { sleep: { seconds: 5 } }
      {{- end }}
      {{- with include "mandate.probes" . }}
      {{- . | nindent 6 }}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: secrets, mountPath: /run/secrets, readOnly: true }
        - { name: tmp, mountPath: /tmp }
        {{- if .root.Values.certificates }}
        - { name: certificates, mountPath: /etc/mandate/certificates, readOnly: true }
        {{- end }}
        {{- if $packages }}
        - { name: packages, mountPath: /var/lib/mandate/packages, readOnly: true }
        {{- end }}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: secrets
      projected:
        sources:
          {{- range $holder, $keys := $secrets }}
          - secret:
              name: {{ index $.root.Values.secrets $holder }}
              items:
                {{- range $keys }}
                - { key: {{ . }}, path: {{ . }} }
                {{- end }}
          {{- end }}
    - name: tmp
      emptyDir: { sizeLimit: {{ .tmp | default "64Mi" }} }
    {{- with .root.Values.certificates }}
    - name: certificates
      projected:
        sources:
          {{- range . }}
          - {{ ternary "secret" "configMap" (hasKey . "secret") }}:
              name: {{ .secret | default .configMap }}
              items: [{ key: {{ .key }}, path: {{ .file }} }]
          {{- end }}
    {{- end }}
    {{- with $packages }}
    - { name: packages, persistentVolumeClaim: { claimName: {{ . }}, readOnly: true } }
    {{- end }}
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The environment. Secrets are files; what stands here is none. */}}
{{- define "mandate.env" -}}
{{- $values := .root.Values -}}
{{- $env := dict "CONSOLE_URL" $values.consoleUrl "GATEWAY_URL" $values.gatewayUrl "BEHIND_TLS_PROXY" "true" -}}
{{- $env = set $env "TRUSTED_PROXIES" ($values.proxy.addresses | join ",") -}}
{{- if not (or .port .restartPolicy) }}{{ $env = set $env "ALIVE_FILE" "/tmp/alive" }}{{ end -}}
{{- range $keys := index (include "mandate.secrets" .root | fromYaml) .component }}
{{- range without $keys "seal_key" }}
{{- $env = set $env (printf "%s_FILE" (upper .)) (printf "/run/secrets/%s" .) }}
{{- end }}
{{- end }}
{{- range $name, $value := merge $env (.env | default dict) $values.config }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}

{{/* Probes. They name no host, so a kubelet asks by the pod's address. Who listens nowhere touches a file; it is
     restarted late, since a queue or a database that is away comes back to a process that waits for it. */}}
{{- define "mandate.probes" -}}
{{- if .port -}}
startupProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- else if not .restartPolicy -}}
livenessProbe:
  exec: { command: [python, -m, governance.probe, /tmp/alive] }
  initialDelaySeconds: 60
  periodSeconds: 60
  timeoutSeconds: 5
  failureThreshold: 10
readinessProbe:
  exec: { command: [python, -m, governance.probe, {{ .ready | default "/tmp/alive" }}] }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}
{{- end }}
