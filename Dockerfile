# dlcli in a container. On a CPU:          docker build -t dlcli .
# With NVIDIA's container toolkit, on a GPU: docker build -t dlcli:gpu --build-arg EXTRAS=gpu,serve .
FROM python:3.11-slim

ARG EXTRAS=serve
COPY . /opt/dlcli
RUN pip install --no-cache-dir --constraint /opt/dlcli/constraints.txt "/opt/dlcli[$EXTRAS]" && rm -r /opt/dlcli

# Any user may run it (docker run --user), so that what it writes belongs to whoever started it: caches need a home.
ENV HOME=/tmp
USER 1000
WORKDIR /data
EXPOSE 8501
ENTRYPOINT ["dlcli"]
CMD ["--help"]
