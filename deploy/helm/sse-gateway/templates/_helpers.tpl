{{- define "sse-gateway.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "sse-gateway.selector" -}}
app.kubernetes.io/name: sse-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sse-gateway.labels" -}}
{{ include "sse-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Values that would lose streams, or leave nodes unsafe, are refused before anything is made. */}}
{{- define "sse-gateway.check" -}}
{{- $t := .Values.times -}}
{{- if gt (add $t.preStop $t.drain 3 | int) ($t.grace | int) -}}
{{- fail (printf "times: preStop (%d) + drain (%d) + 3 s must fit into grace (%d): raise grace to %d." (int $t.preStop) (int $t.drain) (int $t.grace) (add $t.preStop $t.drain 3)) -}}
{{- end -}}
{{- if ge (mul 2 $t.heartbeat | int) 60 -}}
{{- fail (printf "times.heartbeat (%d): twice that must be below 60 s, after which proxies take a stream for dead." (int $t.heartbeat)) -}}
{{- end -}}
{{- if and $t.maxStreamAge (ge (mul 10 $t.drain | int) (mul 8 $t.maxStreamAge | int)) -}}
{{- fail (printf "times.drain (%d) must be below 0.8 × maxStreamAge (%d)." (int $t.drain) (int $t.maxStreamAge)) -}}
{{- end -}}
{{- if not .Values.existingSecret -}}
{{- fail "existingSecret: name a secret with GATEWAY_REDIS_URL, and GATEWAY_JWT_KEY unless settings.GATEWAY_JWKS_URL is set." -}}
{{- end -}}
{{- range $name := list "GATEWAY_DRAIN_S" "GATEWAY_HEARTBEAT_S" "GATEWAY_MAX_STREAM_AGE_S" "GATEWAY_TRUSTED_PROXIES" -}}
{{- if hasKey $.Values.settings $name -}}
{{- fail (printf "settings.%s: set it by times or trustedProxies, where it is checked." $name) -}}
{{- end -}}
{{- end -}}
{{- range $name := list "GATEWAY_JWT_KEY" "GATEWAY_REDIS_URL" "GATEWAY_TICKET_KEY" "GATEWAY_METRICS_TOKEN" -}}
{{- if hasKey $.Values.settings $name -}}
{{- fail (printf "settings.%s: it may be secret; put it into the secret that existingSecret names." $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host: name the host that browsers use." -}}
{{- end -}}
{{- end }}
