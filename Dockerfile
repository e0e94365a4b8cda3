# A page of lens for everyone who has its address: docker build --tag lens . && docker run --publish 7860:7860 lens
# It also serves as a Hugging Face Space, which wants the port 7860 and the user 1000. Arguments replace CMD's:
#   docker run --publish 7860:7860 --memory 8g lens --model demo --token SECRET --visitors 30
FROM condaforge/miniforge3

# What Binder builds: torch for the CPU, the rest in the versions of the tests, and the proof that it reads offline.
COPY . /srv/source
WORKDIR /srv/source
RUN mamba env create --yes --prefix /srv/lens --file binder/environment.yml \
 && PATH=/srv/lens/bin:$PATH bash binder/postBuild \
 && mamba clean --all --yes
ENV PATH=/srv/lens/bin:$PATH HF_HUB_OFFLINE=1 MALLOC_ARENA_MAX=2

RUN id --user 1000 >/dev/null 2>&1 || useradd --create-home --uid 1000 lens
USER 1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/health', timeout=4)"]
ENTRYPOINT ["lens", "app", "--no-browser", "--host", "0.0.0.0", "--port", "7860"]
CMD ["--public"]
