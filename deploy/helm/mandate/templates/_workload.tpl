{{/* A Deployment. Takes what mandate.pod takes, and replicas where no autoscaler decides. */}}
{{- define "mandate.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "mandate.metadata" . | nindent 2 }}
spec:
  {{- with .replicas }}
  replicas: {{ . }}
  {{- end }}
  # A new pod is ready before an old one stops.
  strategy:
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels:
      {{- include "mandate.selector" . | nindent 6 }}
  template:
    {{- include "mandate.pod" . | nindent 4 }}
{{- end }}

{{/* What answers requests: a Deployment, its Service, and the autoscaler. Takes what mandate.pod takes. */}}
{{- define "mandate.serving" -}}
{{- $values := index .root.Values .component -}}
{{- if lt (int $values.maxReplicas) (int $values.minReplicas) }}
{{- fail (printf "%s.maxReplicas must not be below %s.minReplicas." .component .component) }}
{{- end }}
{{- $scales := gt (int $values.maxReplicas) (int $values.minReplicas) -}}
{{ include "mandate.deployment" (merge (dict "replicas" (ternary 0 (int $values.minReplicas) $scales)) .) }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "mandate.metadata" . | nindent 2 }}
spec:
  selector:
    {{- include "mandate.selector" . | nindent 4 }}
  ports:
    - { name: http, port: {{ .port }}, targetPort: http }
{{- if $scales }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "mandate.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ include "mandate.name" .root }}-{{ .component }} }
  minReplicas: {{ $values.minReplicas }}
  maxReplicas: {{ $values.maxReplicas }}
  metrics:
    - type: Resource
      resource: { name: cpu, target: { type: Utilization, averageUtilization: {{ $values.targetCPU }} } }
{{- end }}
{{- end }}
