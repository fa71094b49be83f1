"""From the Gateway API and Kubernetes Ingress to Istio's own terms, by istiod's rules.

Source: istio/istio pilot/pkg/config/kube/{gateway,ingress}. `conversion.convert` is the entry; `from_istio` calls it.
"""
