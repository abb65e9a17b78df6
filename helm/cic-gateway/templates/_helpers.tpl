{{- define "cic-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "cic-gateway.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "cic-gateway.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "cic-gateway.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "cic-gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cic-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cic-gateway.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "cic-gateway.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "cic-gateway.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "cic-gateway.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "cic-gateway.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}

{{- define "cic-gateway.secretName" -}}
{{- default (include "cic-gateway.fullname" .) .Values.existingSecret }}
{{- end }}

{{- /* Helm's own toToml writes integers as floats, which the gateway refuses. A JSON text or list of
texts is TOML as well. */}}
{{- define "cic-gateway.config" -}}
{{- range $section, $keys := .Values.config }}
{{- if $keys }}
[{{ $section }}]
{{- range $key, $value := $keys }}
{{ $key }} = {{ if or (kindIs "float64" $value) (kindIs "int" $value) (kindIs "int64" $value) }}{{ int64 $value }}{{ else }}{{ toJson $value }}{{ end }}
{{- end }}
{{ end }}
{{- end }}
[http]
listen = "0.0.0.0:8080"
{{- end }}
